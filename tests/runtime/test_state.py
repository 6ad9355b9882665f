"""What handlers stage and ask: context.state and context.send, in the runtimes that offer them."""

import pytest

from conftest import FUNCTIONS, JS, PY, zygote

FLAVOURS = {
    "python": (PY, "state.handler", 0),
    "python-threads": (PY, "state.handler", 8),
    "python-async": (PY, "state_async.handler", 0),
    "python-async-8": (PY, "state_async.handler", 8),
    "node": (JS, "state.handler", 0),
    "node-8": (JS, "state.handler", 8),
}


@pytest.fixture(params=FLAVOURS)
def runtime(request):
    language, handler, concurrency = FLAVOURS[request.param]
    with language.start(FUNCTIONS, handler=handler, concurrency=concurrency) as started:
        started.wait_ready()
        started.language = language
        yield started


def test_nothing_is_sent_when_nothing_is_staged(runtime):
    call = runtime.event({"op": "plain"})
    assert call.result() == "nothing staged"
    assert call.effects is None


@zygote
def test_values_are_asked_for(runtime):
    call = runtime.start_event({"op": "read"})
    question = runtime.answer(call, {"value": {"a": [1, "ü"]}, "etag": "e1"})
    assert question == {"op": "state.get", "key": "k"}
    assert runtime.answer(call, {"value": None, "etag": None})["key"] == "absent"
    assert runtime.finish(call).result() == {"value": {"a": [1, "ü"]}, "none": "default"}
    assert call.effects is None  # who only reads changes nothing


def test_keys_are_listed(runtime):
    call = runtime.start_event({"op": "list"})
    items = [{"key": "pb", "value": 1}, {"key": "pc", "value": None}]
    question = runtime.answer(call, {"items": items})
    assert question == {"op": "state.list", "prefix": "p", "limit": 2, "after": "pa"}
    assert runtime.finish(call).result() == [["pb", 1], ["pc", None]]


def test_what_is_staged_goes_before_the_answer(runtime):
    call = runtime.start_event({"op": "write"})
    runtime.answer(call, {"value": 7, "etag": "e7"})
    assert runtime.finish(call).result() == {"was": 7, "text": "größe"}
    attributes = {
        "a": {"type": "String", "value": "x"},
        "n": {"type": "Number", "value": "1.5"},
        "b": {"type": "Binary", "value": "AP8="},
    }
    first, second = call.effects.pop("send")
    assert first.pop("body").replace(" ", "") == '{"n":1}'
    assert first == {"queue": "clicks", "delay_s": 5, "attributes": attributes}
    assert second == {"queue": "orders.fifo", "body": "text", "group": "g", "deduplication_id": "d"}
    assert call.effects == {
        "require": [{"key": "k", "etag": "e7"}],
        "put": [{"key": "k", "value": {"was": 7, "text": "größe"}}],
        "delete": ["old"],
        "add": [{"key": "count", "delta": 5, "at_least": -7}],
    }


def test_a_key_that_was_not_there_is_required_to_be_absent(runtime):
    call = runtime.start_event({"op": "write"})
    runtime.answer(call, {"value": None, "etag": None})
    assert runtime.finish(call).effects["require"] == [{"key": "k", "etag": None}]


def test_what_a_failing_handler_staged_is_forgotten(runtime):
    call = runtime.event({"op": "fail"})
    assert call.error["errorMessage"] == "after staging"
    assert call.effects is None
    assert runtime.event({"op": "plain"}).effects is None


def test_a_refusal_is_an_exception_with_a_code(runtime):
    call = runtime.start_event({"op": "refused"})
    runtime.answer(call, {"error": {"code": "unavailable", "message": "later"}})
    assert runtime.finish(call).result() == ["unavailable", "later"]


def test_a_read_sees_what_was_added(runtime):
    call = runtime.start_event({"op": "counted"})
    runtime.answer(call, {"value": 40, "etag": "e"})
    assert runtime.finish(call).result() == 42
    assert call.effects["add"] == [{"key": "n", "delta": 2}]


def test_mistakes_are_told_at_once(runtime):
    if runtime.language is PY and "state_async" in runtime.ready["handler"]:
        pytest.skip("the checks are those of the synchronous handler")
    names = set(runtime.event({"op": "mistakes"}).result())
    assert names <= {"TypeError", "ValueError", "RangeError"}


@zygote
def test_events_that_come_while_one_waits_are_handled_after_it(runtime):
    first = runtime.start_event({"op": "read"})
    runtime.wait(lambda: first.questions, "the question")
    second = runtime.start_event({"op": "plain"})
    runtime.answer(first, {"value": 1, "etag": "e"})
    runtime.answer(first, {"value": 2, "etag": "e"})
    assert runtime.finish(first).result() == {"value": 1, "none": 2}
    assert runtime.finish(second).result() == "nothing staged"


@pytest.mark.parametrize("language, handler", [(PY, "state.handler"), (JS, "state.late")], ids=["python", "node"])
def test_nothing_can_be_staged_once_the_answer_has_begun(language, handler):
    with language.start(FUNCTIONS, handler=handler) as runtime:
        runtime.wait_ready()
        call = runtime.event({"op": "late"})
        assert call.error is None
        assert b"the answer has begun" in call.body
        assert call.effects["put"] == [{"key": "early", "value": 1}]


def test_a_callback_handler_waits_for_its_answers():
    with JS.start(FUNCTIONS, handler="state.callback") as runtime:
        runtime.wait_ready()
        call = runtime.start_event({})
        runtime.answer(call, {"value": "v", "etag": "e"})
        assert runtime.finish(call).result() == "v"
        assert call.effects["put"] == [{"key": "copy", "value": "v"}]
