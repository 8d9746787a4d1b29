from tests.core.returns.telling import Story


def test_online_return_handed_in_at_a_store_inspected_refunded_booked_and_closed() -> None:
    story = Story().request()
    assert story.view.lines[0].authorisation == "approved", story.view.lines[0].because
    story.settle()
    assert story.view.status == "awaiting_goods"
    story.receive(place="store-1").settle()
    story.inspect().settle()
    assert story.view.status == "resolved"
    assert story.paid() == 2000
    story.payout()
    assert story.view.status == "closed", (story.view.waiting, story.view.postings, story.exceptions())
