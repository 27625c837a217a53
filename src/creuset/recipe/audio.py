"""The `data.audio` section of a recipe: how sound is read as pictures (data/audio.py does it)."""

from typing import Self

from pydantic import Field, model_validator

from creuset.recipe.section import Section


class AudioConfig(Section):
    """How clips of sound become pictures: log-mel levels, time to the right, frequency upward."""

    sample_rate: int = Field(
        8000, ge=1000, le=192_000, description="Samples a second; sound of another rate is resampled."
    )
    seconds: float = Field(
        1.024,
        gt=0,
        le=60,
        description="Length of a clip, rounded up to whole hops; longer clips are cut there, shorter ones "
        "filled up with silence, and both counted.",
    )
    hop: int = Field(128, ge=1, description="Samples from one column of the picture to the next.")
    window: int = Field(
        512,
        ge=16,
        description="Samples that a column looks at, four hops or more for a good way back to sound.",
    )
    num_mels: int = Field(
        64, ge=1, description="Rows of the picture: bands of the mel scale up to half of sample_rate."
    )
    dynamic_range: float = Field(
        80.0,
        gt=0,
        le=200,
        description="Decibels from black to white, which is the power of a sine as loud as can be.",
    )
    normalise: bool = Field(True, description="Scale each clip so that its loudest sample is 1.")

    @model_validator(mode="after")
    def _columns_overlap(self) -> Self:
        if 2 * self.hop > self.window:
            raise ValueError("hop is more than half of window: there would be no way back to sound")
        if self.seconds * self.sample_rate < self.window:
            raise ValueError("seconds is less than one window; lengthen the clips, or make window smaller")
        return self
