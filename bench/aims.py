"""The rows of the plan: what was measured beside what is aimed at. A row without a figure was left out."""

PYTHON, NODE = "cold start, Python, 100 ms of imports", "cold start, Node, 100 ms of requires"
NATIVE = "cold start, native"
RUNC, CRUN = "runc run of a static hello, for comparison", "crun run of a static hello, for comparison"


def get(result, *path):
    for key in path:
        if not isinstance(result, dict) or key not in result:
            return None
        result = result[key]
    return result


def ratio(result, part, of, to, key):
    a, b = get(result, part, of, key), get(result, part, to, key)
    return a / b if a is not None and b else None


def rows(result):
    """(what, measured or None, aim, whether less is better)"""
    def warm(of, to, key="rate32"):
        return ratio(result, "warm", of, to, key)

    def p50(name):
        return get(result, "cold", name, "p50_ms")

    def event(name):
        return get(result, "events", "events", name)

    def accept(name, key):
        value = get(result, "events", "accept", name, key)
        return value / 1e3 if value is not None and key == "p99_us" else value

    clicks = (event("redirect while clicks are charged, p99 ms"), event("redirect alone, p99 ms"))
    together = "SendMessage and async call together"
    return [
        ("Node handler, requests/s, of Node's own server", warm("mayfly node", "node http"), 1.2, False),
        ("Node handler, requests/s, of workerd", warm("mayfly node", "workerd"), 3, False),
        ("Python handler, requests/s, of uvicorn", warm("mayfly python", "uvicorn"), 1, False),
        ("Python handler, requests/s, of gunicorn", warm("mayfly python", "gunicorn"), 5, False),
        ("native function, requests/s, of nginx", warm("mayfly native", "nginx return 200"), 0.8, False),
        ("CPU of a call, Node handler, of Node's own server", warm("mayfly node", "node http", "cpu32"), 1, True),
        ("CPU of a call, Python handler, of Node's own server", warm("mayfly python", "node http", "cpu32"), 1, True),
        ("CPU of a call, native function, of nginx", warm("mayfly native", "nginx return 200", "cpu32"), 12 / 7, True),
        ("1 connection, p50, Node handler, of Node's own server", warm("mayfly node", "node http", "p50_1"), 1.2, True),
        ("32 connections, p99, Node handler, of Node's own server", warm("mayfly node", "node http", "p99_32"), 1, True),
        (f"{PYTHON}: p50 ms", p50(PYTHON), 1.5, True),
        (f"{NODE}: p50 ms", p50(NODE), 2, True),
        (f"{NATIVE}: p50 ms", p50(NATIVE), 1.5, True),
        ("cold start, the slowest of the three: p99 ms",
         max((get(result, "cold", n, "p99_ms") or 0 for n in (PYTHON, NODE, NATIVE)), default=0) or None, 8, True),
        ("cold start, native, of runc run", ratio(result, "cold", NATIVE, RUNC, "p50_ms"), 0.1, True),
        ("cold start, native, of crun run", ratio(result, "cold", NATIVE, CRUN, "p50_ms"), 1 / 3, True),
        ("cold starts a second", get(result, "cold", "cold starts one after the other, native", "rate"), 500, False),
        ("cold start with no template, beyond the function's own: ms",
         p50("cold start with no template, beyond the function's own initialisation"), 3, True),
        ("100 parallel calls that sleep 1 s, from zero: ms",
         p50("100 parallel calls that sleep 1 s, from zero, all answered"), 1250, True),
        ("deploy until it answers: ms", p50("deploy of a small function until it answers"), 50, True),
        ("idle instance: MB", get(result, "idle", "pss_mb_each"), 3, True),
        ("deployed, idle function: KB", get(result, "functions", "kb_each"), 4, True),
        ("start of the server with the deployed functions: s", get(result, "functions", "start_s"), 1, True),
        ("SendMessage and async call together: /s", accept(together, "messages"), 30_000, False),
        ("SendMessage and async call together: p99 ms", accept(together, "p99_us"), 10, True),
        ("SendMessageBatch of 10: messages/s", accept("SendMessageBatch of 10", "messages"), 100_000, False),
        ("send to handler: p50 ms", event("send to handler, p50 ms"), 2, True),
        ("redirect beside full work, p99, of its p99 alone", clicks[0] / clicks[1] if all(clicks) else None, 2, True),
    ]


def show(result):
    print("\n| row of the plan | measured | aim | |\n|---|---|---|---|")
    for what, measured, aim, less in rows(result):
        if measured is None:
            continue
        reached = measured <= aim if less else measured >= aim
        print(f"| {what} | {plain(measured)} | {'at most' if less else 'at least'} {plain(aim)} "
              f"| {'reached' if reached else '**not reached**'} |")


def plain(number):
    return f"{number:,.0f}" if number >= 100 else f"{number:.2f}".rstrip("0").rstrip(".")
