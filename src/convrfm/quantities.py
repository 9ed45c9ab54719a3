"""Counts, times and sizes as a reader expects them."""

HOURS_TOLD, DAYS_TOLD = 100, 1000  # more are days, and years


def counted(n: int, noun: str, plural: str = "") -> str:
    """A number of things.

    >>> counted(1, "round"), counted(2, "class", "classes")
    ('1 round', '2 classes')
    """
    return f"{n} {noun}" if n == 1 else f"{n} {plural or noun + 's'}"


def duration(seconds: float) -> str:
    """A time.

    >>> duration(3725.0), duration(120.0), duration(1e6), duration(1e11)
    ('1 h 2 min', '2 min', '12 days', '3,169 years')
    """
    minutes, rest = divmod(max(1, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= HOURS_TOLD:
        days = round(hours / 24)
        return counted(days, "day") if days < DAYS_TOLD else f"{days / 365.25:,.0f} years"
    parts = {"h": hours, "min": minutes, "s": 0 if hours else rest}
    return " ".join(f"{count} {unit}" for unit, count in parts.items() if count)


def size(count: int) -> str:
    """Bytes.

    >>> size(3 * 2**30), size(400), size(4 * 10**18)
    ('3.0 GiB', '1 KiB', '3,552.7 PiB')
    """
    for unit, bytes_each in (("PiB", 2**50), ("TiB", 2**40)):
        if count >= 10 * bytes_each:
            return f"{count / bytes_each:,.1f} {unit}"
    if count >= 2**30:
        return f"{count / 2**30:.1f} GiB"
    return f"{count / 2**20:.0f} MiB" if count >= 2**20 else f"{max(1, round(count / 2**10))} KiB"
