async def handler(event, context):
    state, op = context.state, event["op"]
    if op == "plain":
        return "nothing staged"
    if op == "read":
        return {"value": await state.get("k"), "none": await state.get("absent", "default")}
    if op == "list":
        return await state.list("p", limit=2, after="pa")
    if op == "write":
        seen = await state.get("k")
        state.put("k", {"was": seen, "text": "größe"})
        state.delete("old")
        state.add("count", 2)
        state.add("count", 3, at_least=-7)
        context.send("clicks", {"n": 1}, delay=5, attributes={"a": "x", "n": 1.5, "b": b"\x00\xff"})
        context.send("orders.fifo", "text", group="g", deduplication_id="d")
        return await state.get("k")
    if op == "fail":
        state.put("k", 1)
        raise RuntimeError("after staging")
    if op == "refused":
        try:
            await state.get("k")
        except RuntimeError as error:
            return [error.code, str(error)]
    if op == "counted":
        state.add("n", 2)
        return await state.get("n")
    raise AssertionError(op)
