"""Counts, times and sizes as a reader expects them."""


def counted(n: int, noun: str, plural: str = "") -> str:
    """A number of things.

    >>> counted(1, "round"), counted(2, "class", "classes")
    ('1 round', '2 classes')
    """
    return f"{n} {noun}" if n == 1 else f"{n} {plural or noun + 's'}"


def duration(seconds: float) -> str:
    """A time.

    >>> duration(3725.0)
    '1 h 2 min'
    """
    minutes, rest = divmod(max(1, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def size(count: int) -> str:
    """Bytes.

    >>> size(3 * 2**30), size(400)
    ('3.0 GiB', '1 KiB')
    """
    if count >= 2**30:
        return f"{count / 2**30:.1f} GiB"
    return f"{count / 2**20:.0f} MiB" if count >= 2**20 else f"{max(1, round(count / 2**10))} KiB"
