"""What every section of a recipe is: a frozen model that refuses what it does not know."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo


class Section(BaseModel):
    """A part of a recipe: frozen, without unknown keys, without silent conversions, all numbers finite.

    `not_there` says of keys that one could look for why there are none.
    """

    not_there: ClassVar[dict[str, str]] = {}
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @classmethod
    def recipe_keys(cls) -> dict[str, FieldInfo]:
        """The keys that a recipe may hold in this section, in their order."""
        return dict(cls.model_fields)
