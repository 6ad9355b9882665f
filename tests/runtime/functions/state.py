def handler(event, context):
    return run(event, context, context.state)


def run(event, context, state):
    op = event["op"]
    if op == "plain":
        return "nothing staged"
    if op == "read":
        return {"value": state.get("k"), "none": state.get("absent", "default")}
    if op == "list":
        return state.list("p", limit=2, after="pa")
    if op == "write":
        seen = state.get("k")
        state.put("k", {"was": seen, "text": "größe"})
        state.delete("old")
        state.add("count", 2)
        state.add("count", 3, at_least=-7)
        context.send("clicks", {"n": 1}, delay=5, attributes={"a": "x", "n": 1.5, "b": b"\x00\xff"})
        context.send("orders.fifo", "text", group="g", deduplication_id="d")
        return state.get("k")
    if op == "fail":
        state.put("k", 1)
        raise RuntimeError("after staging")
    if op == "mistakes":
        found = []
        for call in (
            lambda: state.put("", 1),
            lambda: state.put("k", object()),
            lambda: state.add("k", 1.5),
            lambda: state.add("k", True),
            lambda: state.put(7, 1),
            lambda: context.send("", "x"),
            lambda: context.send("q", "x", attributes={"a": None}),
        ):
            try:
                call()
                found.append("accepted")
            except (TypeError, ValueError) as error:
                found.append(type(error).__name__)
        return found
    if op == "refused":
        try:
            state.get("k")
        except RuntimeError as error:
            return [error.code, str(error)]
    if op == "counted":
        state.add("n", 2)
        return state.get("n")
    if op == "late":
        return late(state)
    raise AssertionError(op)


def late(state):
    state.put("early", 1)
    yield "first"
    try:
        state.put("late", 1)
    except RuntimeError as error:
        yield str(error)
