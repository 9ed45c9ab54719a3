"""What kernel, ridge and round are chosen by."""

from enum import StrEnum


class Judge(StrEnum):
    """What holds the images out on which fits are compared; its value is what `history_` and saved models say."""

    LEAVE_ONE_OUT = "loo"
    CROSS_VALIDATION = "cv"
    SELECTION = "selection"

    @property
    def label(self) -> str:
        """Its name in a sentence."""
        return LABELS[self]

    def scored(self, measure: str) -> str:
        """What a measure is called that it took, as in "leave-one-out accuracy" or "accuracy on the selection set"."""
        return f"{measure} on {self.label}" if self is Judge.SELECTION else f"{self.label} {measure}"


LABELS = {
    Judge.LEAVE_ONE_OUT: "leave-one-out",
    Judge.CROSS_VALIDATION: "cross-validation",
    Judge.SELECTION: "the selection set",
}
