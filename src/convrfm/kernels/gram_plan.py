"""What the sum of gradient outer products takes by Gram matrices of adjoints, and by the gradients."""

from dataclasses import dataclass

OF_A_VARIANCE_BAR = 3  # the adjoint of a variance: here, in the engine, and on its way back to the patches
OF_AN_OWN_WEIGHT = 4  # the weight of an image's own patch, on that way
OF_A_PARTNER = 3  # its patch: as it is, its products with the Gram matrix, and their panel
OF_AN_OWN_PATCH = 3  # as it is, what it meets, and their products


@dataclass(frozen=True)
class GramPlan:
    """How many images and rows of positions are multiplied out at a time.

    Attributes:
        images: n, at which gradients are taken.
        partners: m, the training images.
        outputs: k.
        entries: r, of a patch as adjoints are contracted with it.
        variances: of an image, over all activations.
        rows, cols: the first grid of positions.
        block: how many images are embedded at a time, at most.
        quarter: numbers in double precision that fit a quarter of the memory budget.
        quarter_of_adjoints: numbers in the kernel's precision that do.
    """

    images: int
    partners: int
    outputs: int
    entries: int
    variances: int
    rows: int
    cols: int
    block: int
    quarter: int
    quarter_of_adjoints: int

    @property
    def together(self) -> int:
        """How many images' adjoints with all partners fit."""
        return min(self.images, self.quarter_of_adjoints // (self.rows * self.cols * self.partners))

    @property
    def beside(self) -> int:
        """Numbers that an image takes beside its adjoints with the partners: those of its variances, for every output."""
        return self.outputs * (OF_A_VARIANCE_BAR * self.variances + OF_AN_OWN_WEIGHT * self.rows * self.cols)

    @property
    def grid_rows(self) -> int:
        """How many rows of positions are multiplied out at once."""
        m, r, block = self.partners, self.entries, min(self.together, self.block)
        by_partners = m * (m + OF_A_PARTNER * r) + self.together * m
        by_own = 2 * m * r + block * (2 * m + OF_AN_OWN_PATCH * r)
        return min(self.rows, self.quarter // (self.cols * max(by_partners, by_own)))

    @property
    def fits(self) -> bool:
        """Whether memory suffices for one image and one row."""
        return self.beside <= self.quarter_of_adjoints and self.together > 0 and self.grid_rows > 0

    @property
    def costs_less(self) -> bool:
        """Whether the gradients would cost more."""
        parts = -(-self.images // self.together)
        return gram_matrices_cost_less(self.images, self.partners, self.outputs, self.entries, parts)


def gram_matrices_cost_less(n: int, m: int, k: int, r: int, parts: int) -> bool:
    """Whether gradients of n images with respect to m partners, for k outputs and r entries of a patch, would cost more.

    At each position they take n m k r products, and their outer products n k r^2 / 2. The Gram matrix of b images together
    takes m^2 (b + r) and m r^2 / 2, and the images' own patches n times m (k + r) and r^2; products in double precision count
    twice.

    Args:
        parts: how many times b images are n.
    """
    gradients = n * k * (m * r + r**2 / 2)
    grams = parts * (m**2 * r + m * r**2 / 2) + n * (m * (m + k + r) + r**2)
    return 2 * grams < gradients
