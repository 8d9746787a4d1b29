"""Legal periods: when they end. Dates are the customer's local days; the caller knows the zone, we know the rules.

Regulation (EEC, Euratom) No 1182/71, art. 3, to which recital 41 of Directive 2011/83/EU points, counts the days.
"""

from calendar import monthrange
from collections.abc import Collection
from datetime import date, timedelta

WITHDRAWAL_DAYS = 14  # Directive 2011/83/EU art. 9(1)
UNINFORMED_MONTHS = 12  # art. 10(1)
REFUND_DAYS = 14  # art. 13(1)
GUARANTEE_MONTHS = 24  # Directive (EU) 2019/771 art. 10(1); a country may have more


def is_working_day(day: date, holidays: Collection[date] = ()) -> bool:
    """Not a public holiday, Saturday or Sunday (art. 2(2))."""
    return day.weekday() < 5 and day not in holidays


def period_end(start: date, *, days: int = 0, months: int = 0, holidays: Collection[date] = ()) -> date:
    """The last day of a period of days or months that an event on `start` sets off.

    The day of the event is not counted (art. 3(1)); months end on the same day of the month, or its last (3(2)(c)); a
    last day that is no working day moves to the next one (3(4)); two days or more hold two working days (3(5)).
    """
    if (days > 0) == (months > 0) or min(days, months) < 0:
        raise ValueError("a period has either days or months, at least one: pass one of them")
    end = start + timedelta(days) if days else _months_later(start, months)
    while not is_working_day(end, holidays):
        end += timedelta(1)
    if days != 1:
        while _working_days(start, end, holidays) < 2:
            end += timedelta(1)
    return end


def withdrawal_deadline(delivered_on: date, informed_on: date | None, holidays: Collection[date] = ()) -> date:
    """The last day to withdraw. `delivered_on`: the last good of the order was in the consumer's hands (art. 9(2)(b)).

    `informed_on` is when the consumer was told of the right; None: not told. Late information gives 14 days from then,
    none gives twelve months more (Directive 2011/83/EU art. 10).
    """
    first = period_end(delivered_on, days=WITHDRAWAL_DAYS, holidays=holidays)
    if informed_on is not None and informed_on <= delivered_on:
        return first
    last = period_end(delivered_on + timedelta(WITHDRAWAL_DAYS), months=UNINFORMED_MONTHS, holidays=holidays)
    if informed_on is None or informed_on > last:
        return last
    return max(first, period_end(informed_on, days=WITHDRAWAL_DAYS, holidays=holidays))


def refund_due_on(
    declared_on: date,
    received_on: date | None,
    dispatch_proven_on: date | None,
    *,
    trader_collects: bool = False,
    holidays: Collection[date] = (),
) -> date | None:
    """The last day to refund a withdrawal: 14 days after the declaration (art. 13(1)).

    The trader may wait until the goods are back or their dispatch is proven, whichever is earlier, unless it offered to
    collect them (art. 13(3)): the refund is then due at once. None: neither has happened, so it may still wait.
    """
    due = period_end(declared_on, days=REFUND_DAYS, holidays=holidays)
    if trader_collects:
        return due
    back = [each for each in (received_on, dispatch_proven_on) if each is not None]
    return max(due, min(back)) if back else None


def guarantee_end(delivered_on: date, months: int = GUARANTEE_MONTHS, holidays: Collection[date] = ()) -> date:
    """The last day on which a lack of conformity may become apparent (Directive (EU) 2019/771 art. 10(1), (3))."""
    return period_end(delivered_on, months=months, holidays=holidays)


def _months_later(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def _working_days(start: date, end: date, holidays: Collection[date]) -> int:
    return sum(is_working_day(start + timedelta(n), holidays) for n in range(1, min((end - start).days, 40) + 1))
