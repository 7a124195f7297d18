"""Which steps that fail make an engine broken."""

from enginebay_core.engine.failures import TOO_MANY, Failures

Step = list[tuple[int, ...]]
BAD = (1, 2, 3)


def other(number: int) -> tuple[int, ...]:
    return (100, number)


def test_different_requests_that_fail_in_a_row_are_the_engines_fault() -> None:
    failures = Failures()
    told = [failures.failed([other(number)]) for number in range(TOO_MANY)]
    assert told[:-1] == [None] * (TOO_MANY - 1)
    assert str(told[-1]).startswith("3 steps failed in a row, each with other requests")


def test_one_request_is_not_however_often_it_comes() -> None:
    failures = Failures()
    assert not any(failures.failed([BAD]) for _ in range(20))
    assert failures.failed([other(1)]) is None


def test_nor_is_one_that_takes_its_company_along() -> None:
    failures = Failures()
    assert not any(failures.failed([other(n), BAD, other(n + 1)]) for n in range(20))


def test_a_good_step_between_clears_the_engine() -> None:
    failures = Failures()
    for number in range(20):
        assert failures.failed([other(number)]) is None
        if number % 2:
            failures.good()
