"""What turned samples into features: a distance between features is a statement about their extractor too.

"FID", "KID" and "IS" name distances on one network, the Inception of 2015 with its published weights. On any
other features the same formulas are called fd, kd and is-<classifier>.
"""

from dataclasses import dataclass

from creuset.errors import UsageError
from creuset.metrics.signature import UNSTATED, FieldValue, short_hash

INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
"""Of pt_inception-2015-12-05-6726825d.pth, the weights that published FID values mean."""


@dataclass(frozen=True, kw_only=True)
class Extractor:
    """Where features come from.

    Args:
        name: Of the network, such as "efficientnet-lite0"; for plain pixels or coordinates, "none".
        sha256: Of its weights' file, 64 hexadecimal digits; None where there are no weights.
        preprocessing: What was done to a sample before, such as "bicubic-antialias-224": four ways to resize
            give four different distances.

    Raises:
        UsageError: An empty name or preprocessing, or a hash that is none.
    """

    name: str
    sha256: str | None = None
    preprocessing: str = "none"

    def __post_init__(self) -> None:
        if not (self.name and self.preprocessing):
            raise UsageError(
                "an extractor needs a name and its preprocessing",
                got=f"name {self.name!r}, preprocessing {self.preprocessing!r}",
            )
        if self.sha256 is not None and not _is_sha256(self.sha256):
            raise UsageError(
                "not the hash of an extractor's weights",
                where=self.name,
                got=repr(self.sha256),
                expected="a sha256: 64 hexadecimal digits in lower case",
            )

    @property
    def is_inception(self) -> bool:
        """Whether the weights are those that FID, KID and Inception score are defined on."""
        return self.sha256 == INCEPTION_SHA256

    def fields(self) -> dict[str, FieldValue]:
        """The extractor as a signature writes it."""
        return {
            "extractor": self.name,
            "preprocessing": self.preprocessing,
            "weights": "none" if self.sha256 is None else short_hash(self.sha256),
        }


UNSTATED_EXTRACTOR = Extractor(name=UNSTATED, preprocessing=UNSTATED)
"""For a number that is looked at by itself."""


def _is_sha256(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")
