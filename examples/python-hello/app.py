def handler(event, context):
    """Answers HTTP calls (API Gateway v2 events) and plain events alike."""
    query = event.get("queryStringParameters") or {}
    name = event.get("name") or query.get("name") or "World"
    print("greeting", name)
    return {"message": f"Hello {name}", "request": context.aws_request_id}
