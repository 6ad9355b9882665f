"""What the page shows: budgets, what is spent, clicks. Amounts are whole micro-dollars."""

import json

from charge import _FILE


def handler(event, context):
    def under(prefix):
        return {key[len(prefix):]: value for key, value in context.state.list(prefix, limit=1000)}

    left, spent, clicks, exhausted = (under(p) for p in ("budget/", "spent/", "clicks/", "exhausted/"))
    advertisers = []
    for key, advertiser in _FILE["advertisers"].items():
        ads = [{"ad": name, "price": ad["price"], "clicks": clicks.get(name, 0)}
               for name, ad in _FILE["ads"].items() if ad["advertiser"] == key]
        advertisers.append({"advertiser": key, "name": advertiser["name"], "left": left.get(key, 0),
                            "spent": spent.get(key, 0), "exhausted": exhausted.get(key, False), "ads": ads})
    return {"statusCode": 200, "headers": {"content-type": "application/json", "cache-control": "no-store"},
            "body": json.dumps({"advertisers": advertisers})}
