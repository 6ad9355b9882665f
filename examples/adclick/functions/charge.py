"""Charges clicks to the budgets of their advertisers.

Money is whole micro-dollars. What this stages (budgets, counters, the ledger) happens in one transaction
with "these clicks are done": a batch that fails, or is handled again, charges nothing twice.
"""

import json
import os

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "ads.json")) as f:
    _FILE = json.load(f)
ADS = _FILE["ads"]


def handler(event, context):
    # list() and not get(): a budget that changes meanwhile is no reason to begin again. That it
    # does not fall below 0 is what at_least is for.
    budgets = {key[len("budget/"):]: left for key, left in context.state.list("budget/", limit=1000)}
    spent, clicks, failures = {}, {}, []
    for record in event["Records"]:
        try:
            click = json.loads(record["body"])
            ad_name, click_id = click["ad"], str(click["id"])
            ad = ADS[ad_name]
        except (ValueError, KeyError, TypeError):
            failures.append({"itemIdentifier": record["messageId"]})
            continue
        advertiser, price = ad["advertiser"], ad["price"]
        left = budgets.get(advertiser, 0) - spent.get(advertiser, 0)
        if left < price:
            context.send("clicks-dead", record["body"], attributes={"reason": "the budget is exhausted"})
            context.state.put("exhausted/" + advertiser, True)
            continue
        spent[advertiser] = spent.get(advertiser, 0) + price
        clicks[ad_name] = clicks.get(ad_name, 0) + 1
        context.state.put("ledger/%s/%s" % (ad_name, click_id), price)
    for advertiser, amount in spent.items():
        context.state.add("budget/" + advertiser, -amount, at_least=0)
        context.state.add("spent/" + advertiser, amount)
    for ad_name, count in clicks.items():
        context.state.add("clicks/" + ad_name, count)
    return {"batchItemFailures": failures}
