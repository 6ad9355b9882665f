import sys, time
def handler(event, context):
    print("runtime got", event, flush=True)
    time.sleep(event.get("sleep", 0))
    if "exit" in event:
        import os
        os._exit(event["exit"])
    return {"echo": event}
