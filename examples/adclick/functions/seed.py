"""Gives each advertiser the budget of ads.json, unless it has one: budgets survive another deploy."""

from charge import _FILE


def handler(event, context):
    seeded = []
    for name, advertiser in _FILE["advertisers"].items():
        if context.state.get("budget/" + name) is None:
            context.state.put("budget/" + name, advertiser["budget"])
            seeded.append(name)
    return {"seeded": seeded}
