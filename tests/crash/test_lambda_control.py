"""kill -9 while Lambda's control API is at work.

One client makes one change after the other. What was acknowledged is kept here, outside the victim, and so is the
one change that was under way: after the next start it has happened or it has not, never half.
MAYFLY_CRASH_ROUNDS sets the number of kills, MAYFLY_CRASH_SEED repeats the choices.
"""

import base64
import copy
import hashlib
import json
import os
import random
import threading
import time

import pytest

pytest.importorskip("boto3", reason="python3-boto3 is not installed")
from botocore.config import Config  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402

from account import Account  # noqa: E402
from harness import Server, descendants, eventually, zip_bytes  # noqa: E402

ROUNDS = int(os.environ.get("MAYFLY_CRASH_ROUNDS", "6"))
SEED = int(os.environ.get("MAYFLY_CRASH_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
ROLE = "arn:aws:iam::000000000000:role/any"
FUNCTIONS, LAYERS, ALIASES = ("fa", "fb"), ("la", "lb"), ("live", "next")
CODE = """import os
def handler(event, context):
    seen = sorted(os.listdir("/opt")) if os.path.isdir("/opt") else []
    return {"code": %d, "opt": [n for n in seen if n.startswith("in-")], "version": context.function_version}
"""
ANY = "(whatever the server chose)"


def code_zip(number):
    return zip_bytes({"app.py": CODE % number})


def layer_zip(name, number):
    return zip_bytes({f"in-{name}": str(number)})


def digest(data):
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def fits(expected, seen):
    """Equal, but for what a call without an answer could not tell."""
    if isinstance(expected, dict) and isinstance(seen, dict):
        if ANY in expected:  # an entry of a name that was not told
            known = {k: v for k, v in expected.items() if k != ANY}
            extra = [k for k in seen if k not in known]
            return len(extra) == 1 and fits(known, {k: seen[k] for k in known if k in seen}) and fits(
                expected[ANY], seen[extra[0]])
        return expected.keys() == seen.keys() and all(fits(expected[k], seen[k]) for k in expected)
    return expected == ANY or expected == seen


def difference(expected, seen, at=""):
    """Where the two are not the same, for people."""
    if isinstance(expected, dict) and isinstance(seen, dict):
        return [line for key in sorted({*expected, *seen})
                for line in difference(expected.get(key), seen.get(key), f"{at}/{key}")]
    return [] if fits(expected, seen) else [f"{at}: {expected} is wanted, {seen} is there"]


class Journal:
    """What the server has acknowledged, and the change that it was asked for last; on disk, line by line."""

    def __init__(self, path):
        self.path = path
        self.state = {"layers": {n: {} for n in LAYERS}, "functions": {}, "mappings": {}}
        self.given = {}  # the last number of each function and layer: none is given again
        self.open = None  # the state as it will be when the change under way happens

    def note(self, what, value):
        with open(self.path, "a") as f:
            f.write(json.dumps([what, value]) + "\n")

    def intend(self, words, after):
        self.open = after
        self.note("asked", words)

    def acknowledge(self, after):
        self.state, self.open = after, None
        self.count(after)
        self.note("acknowledged", after)

    def count(self, state):
        for name, function in state["functions"].items():
            self.given[name] = max([self.given.get(name, 0), *map(int, function["versions"])])
        for name, versions in state["layers"].items():
            self.given[name] = max([self.given.get(name, 0), *map(int, versions)])

    def settle(self, seen):
        allowed = [self.state] + ([self.open] if self.open is not None else [])
        assert any(fits(one, seen) for one in allowed), "\n".join(
            ["neither what was acknowledged nor that and the change under way, but:"]
            + [line for one in allowed for line in ["against one of them", *difference(one, seen)]])
        self.state, self.open = seen, None
        self.count(seen)
        self.note("seen", seen)


def clients(server, account):
    account.url = server.api_url
    config = Config(retries={"max_attempts": 0}, connect_timeout=10, read_timeout=60)
    return account.boto("lambda", config=config), account.boto("sqs", config=config)


# -- changes: each gives the state as it will be, and the call that brings it about -----------------------------------

class Changes:
    """What can be done next, chosen by chance. Numbers of code and layers are never used twice."""

    def __init__(self, rng, journal, queue):
        self.rng, self.journal, self.queue, self.number = rng, journal, queue, 0

    def choose(self):
        """(words, state afterwards, call(functions), learn(state, answer))"""
        state = copy.deepcopy(self.journal.state)
        kinds = [self.layer, self.layer, self.drop_layer, self.mapping, self.mapping]
        missing = [n for n in FUNCTIONS if n not in state["functions"]]
        if missing:
            return self.create(state, missing[0])
        kinds += [self.code, self.code, self.configure, self.publish, self.publish, self.alias, self.alias,
                  self.drop_alias, self.url, self.url, self.invoke_config, self.invoke_config, self.provisioned,
                  self.provisioned, self.reserved, self.tags, self.drop_version, self.drop_version]
        kinds += [self.drop_function] if self.rng.random() < 0.5 else []
        while True:
            name = self.rng.choice(FUNCTIONS)
            change = self.rng.choice(kinds)(copy.deepcopy(state), name)
            if change:
                return change

    def fresh(self):
        self.number += 1
        return self.number

    def next_version(self, name):
        return str(self.journal.given.get(name, 0) + 1)

    def snapshot(self, function, name):
        function["versions"][self.next_version(name)] = {
            "code": function["code"], "layers": function["layers"], "invoke": function["invoke"]}

    def some_layers(self, state):
        found = [f"{n}:{v}" for n in LAYERS for v in list(state["layers"][n])[-1:]]
        return self.rng.sample(found, self.rng.randint(0, len(found)))

    def arns(self, layers):
        return [f"arn:aws:lambda:us-east-1:000000000000:layer:{one}" for one in layers]

    def create(self, state, name):
        data, layers = code_zip(self.fresh()), self.some_layers(state)
        function = {"code": digest(data), "layers": layers, "tags": {"made": str(self.number)}, "reserved": None,
                    "versions": {}, "aliases": {}, "urls": {}, "invoke": None, "provisioned": {}}
        self.snapshot(function, name)
        state["functions"][name] = function
        return (f"create {name}", state, lambda f: f.create_function(
            FunctionName=name, Runtime="python3.12", Handler="app.handler", Role=ROLE, Publish=True, Timeout=20,
            Code={"ZipFile": data}, Layers=self.arns(layers), Tags=function["tags"]), None)

    def drop_function(self, state, name):
        del state["functions"][name]
        return f"delete {name}", state, lambda f: f.delete_function(FunctionName=name), None

    def layer(self, state, _):
        name = self.rng.choice(LAYERS)
        data = layer_zip(name, self.fresh())
        state["layers"][name][self.next_version(name)] = digest(data)
        return (f"layer {name}", state, lambda f: f.publish_layer_version(
            LayerName=name, Content={"ZipFile": data}), None)

    def drop_layer(self, state, _):
        name = self.rng.choice(LAYERS)
        if len(state["layers"][name]) < 2:
            return None
        number = self.rng.choice(list(state["layers"][name]))
        del state["layers"][name][number]
        return (f"delete layer {name}:{number}", state, lambda f: f.delete_layer_version(
            LayerName=name, VersionNumber=int(number)), None)

    def code(self, state, name):
        data, publish = code_zip(self.fresh()), self.rng.random() < 0.6
        function = state["functions"][name]
        function["code"] = digest(data)
        if publish:
            self.snapshot(function, name)
        return (f"code {name} publish={publish}", state, lambda f: f.update_function_code(
            FunctionName=name, ZipFile=data, Publish=publish), None)

    def configure(self, state, name):
        layers = state["functions"][name]["layers"] = self.some_layers(state)
        return (f"layers {name} {layers}", state, lambda f: f.update_function_configuration(
            FunctionName=name, Layers=self.arns(layers)), None)

    def publish(self, state, name):
        function = state["functions"][name]
        before = copy.deepcopy(state)
        last = max(function["versions"], key=int, default=None)
        self.snapshot(function, name)

        def learn(after, answer):
            if answer["Version"] == self.next_version(name):
                return after
            # Nothing had changed since the last one: then that one it is.
            assert answer["Version"] == last and function["code"] == function["versions"][last]["code"], answer
            return before
        return f"publish {name}", state, lambda f: f.publish_version(FunctionName=name), learn

    def alias(self, state, name):
        function = state["functions"][name]
        if not function["versions"]:
            return None
        alias, version = self.rng.choice(ALIASES), self.rng.choice(list(function["versions"]))
        others = [v for v in function["versions"] if v != version]
        weights = {self.rng.choice(others): 0.25} if others and self.rng.random() < 0.4 else {}
        there = function["aliases"].get(alias)
        function["aliases"][alias] = {"version": version, "weights": weights,
                                      "invoke": there["invoke"] if there else None}
        options = {"FunctionName": name, "Name": alias, "FunctionVersion": version,
                   "RoutingConfig": {"AdditionalVersionWeights": weights}}
        return (f"alias {name}:{alias} {version} {weights}", state,
                lambda f: (f.update_alias if there else f.create_alias)(**options), None)

    def drop_alias(self, state, name):
        function = state["functions"][name]
        if not function["aliases"]:
            return None
        alias = self.rng.choice(list(function["aliases"]))
        for part in ("aliases", "urls", "provisioned"):
            function[part].pop(alias, None)
        return f"delete alias {name}:{alias}", state, lambda f: f.delete_alias(FunctionName=name, Name=alias), None

    def drop_version(self, state, name):
        function = state["functions"][name]
        held = {v for a in function["aliases"].values() for v in [a["version"], *a["weights"]]}
        free = [v for v in function["versions"] if v not in held]
        # One with instances of its own is what has more than one thing to lose.
        free = [v for v in free if v in function["provisioned"]] or free
        if not free:
            return None
        number = self.rng.choice(free)
        del function["versions"][number]
        function["provisioned"].pop(number, None)
        return (f"delete {name}:{number}", state, lambda f: f.delete_function(
            FunctionName=name, Qualifier=number), None)

    def url(self, state, name):
        urls, qualifier = state["functions"][name]["urls"], self.rng.choice(["", *state["functions"][name]["aliases"]])
        where = {"FunctionName": name, **({"Qualifier": qualifier} if qualifier else {})}
        if qualifier in urls and self.rng.random() < 0.4:
            del urls[qualifier]
            return f"delete url {where}", state, lambda f: f.delete_function_url_config(**where), None
        cors = {"AllowOrigins": [f"https://{self.fresh()}.example"], "MaxAge": self.number}
        if qualifier in urls:
            urls[qualifier]["cors"] = cors
            return f"change url {where}", state, lambda f: f.update_function_url_config(**where, Cors=cors), None
        urls[qualifier] = {"path": ANY, "auth": "NONE", "cors": cors}

        def learn(after, answer):
            after["functions"][name]["urls"][qualifier]["path"] = url_path(answer)
            return after
        return (f"url {where}", state, lambda f: f.create_function_url_config(**where, AuthType="NONE", Cors=cors),
                learn)

    def invoke_config(self, state, name):
        function = state["functions"][name]
        qualifier = self.rng.choice(["", *function["aliases"]])
        where = {"FunctionName": name, **({"Qualifier": qualifier} if qualifier else {})}
        holder = function["aliases"][qualifier] if qualifier else function
        if holder["invoke"] and self.rng.random() < 0.3:
            holder["invoke"] = None
            return (f"delete invoke config {where}", state,
                    lambda f: f.delete_function_event_invoke_config(**where), None)
        retries, age = holder["invoke"] = [self.rng.randint(0, 2), 60 + self.fresh()]
        return (f"invoke config {where}", state, lambda f: f.put_function_event_invoke_config(
            **where, MaximumRetryAttempts=retries, MaximumEventAgeInSeconds=age), None)

    def provisioned(self, state, name):
        function = state["functions"][name]
        if function["provisioned"]:
            qualifier = list(function["provisioned"])[0]
            if self.rng.random() < 0.5:
                del function["provisioned"][qualifier]
                return (f"delete provisioned {name}:{qualifier}", state,
                        lambda f: f.delete_provisioned_concurrency_config(FunctionName=name, Qualifier=qualifier),
                        None)
        elif function["versions"]:
            qualifier = self.rng.choice([*function["versions"], *function["aliases"]])
        else:
            return None
        calls = function["provisioned"][qualifier] = self.rng.randint(1, 2)
        return (f"provisioned {name}:{qualifier} {calls}", state,
                lambda f: f.put_provisioned_concurrency_config(
                    FunctionName=name, Qualifier=qualifier, ProvisionedConcurrentExecutions=calls), None)

    def reserved(self, state, name):
        function = state["functions"][name]
        if function["reserved"]:
            function["reserved"] = None
            return (f"no limit {name}", state, lambda f: f.delete_function_concurrency(FunctionName=name), None)
        limit = function["reserved"] = self.rng.randint(5, 50)
        return (f"limit {name} {limit}", state, lambda f: f.put_function_concurrency(
            FunctionName=name, ReservedConcurrentExecutions=limit), None)

    def tags(self, state, name):
        tags, arn = state["functions"][name]["tags"], f"arn:aws:lambda:us-east-1:000000000000:function:{name}"
        if len(tags) > 2:
            gone = self.rng.sample(list(tags), 2)
            for key in gone:
                del tags[key]
            return f"untag {name} {gone}", state, lambda f: f.untag_resource(Resource=arn, TagKeys=gone), None
        more = {f"k{self.fresh()}": "a", f"k{self.fresh()}": "b"}  # both or none
        tags.update(more)
        return f"tag {name} {more}", state, lambda f: f.tag_resource(Resource=arn, Tags=more), None

    def mapping(self, state, name):
        if name not in state["functions"]:
            return None
        found = next((uuid for uuid, m in state["mappings"].items() if m["function"] == name), None)
        batch, enabled = self.rng.randint(1, 10), self.rng.random() < 0.5
        if found and self.rng.random() < 0.4:
            del state["mappings"][found]
            return f"delete mapping {found}", state, lambda f: f.delete_event_source_mapping(UUID=found), None
        row = {"function": name, "batch": batch, "state": "Enabled" if enabled else "Disabled"}
        if found:
            state["mappings"][found] = row
            return (f"change mapping {found}", state, lambda f: f.update_event_source_mapping(
                UUID=found, BatchSize=batch, Enabled=enabled), None)
        state["mappings"][ANY] = row

        def learn(after, answer):
            after["mappings"][answer["UUID"]] = after["mappings"].pop(ANY)
            return after
        return (f"mapping {name}", state, lambda f: f.create_event_source_mapping(
            EventSourceArn=self.queue, FunctionName=name, BatchSize=batch, Enabled=enabled), learn)


# -- what the server says -------------------------------------------------------------------------------------------

def url_path(config):
    return "/" + config["FunctionUrl"].split("/", 3)[3]


def layers_of(configuration):
    return [one["Arn"].split(":layer:")[1] for one in configuration.get("Layers", [])]


def look_at(functions, name):
    got = functions.get_function(FunctionName=name)
    invoke = {one["FunctionArn"].rsplit(":", 1)[1]: [one["MaximumRetryAttempts"], one["MaximumEventAgeInSeconds"]]
              for one in functions.list_function_event_invoke_configs(
                  FunctionName=name, MaxItems=50)["FunctionEventInvokeConfigs"]}
    pages = functions.get_paginator("list_versions_by_function").paginate(FunctionName=name)
    versions = {one["Version"]: {"code": one["CodeSha256"], "layers": layers_of(one),
                                 "invoke": invoke.get(one["Version"])} for page in pages for one in page["Versions"]}
    latest = versions.pop("$LATEST")
    aliases = {one["Name"]: {"version": one["FunctionVersion"], "invoke": invoke.get(one["Name"]),
                             "weights": one.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})}
               for one in functions.list_aliases(FunctionName=name)["Aliases"]}
    urls = {}
    for one in functions.list_function_url_configs(FunctionName=name)["FunctionUrlConfigs"]:
        after = one["FunctionArn"].split(":function:")[1].split(":")
        urls[after[1] if len(after) > 1 else ""] = {"path": url_path(one), "auth": one["AuthType"],
                                                   "cors": one["Cors"]}
    provisioned = {one["FunctionArn"].rsplit(":", 1)[1]: one["RequestedProvisionedConcurrentExecutions"]
                   for one in functions.list_provisioned_concurrency_configs(
                       FunctionName=name)["ProvisionedConcurrencyConfigs"]}
    return {"code": latest["code"], "layers": latest["layers"], "invoke": latest["invoke"],
            "tags": got.get("Tags", {}), "reserved": got.get("Concurrency", {}).get("ReservedConcurrentExecutions"),
            "versions": versions, "aliases": aliases, "urls": urls, "provisioned": provisioned}


def look(functions, queue):
    layers = {name: {str(one["Version"]): functions.get_layer_version(
        LayerName=name, VersionNumber=one["Version"])["Content"]["CodeSha256"]
        for one in functions.list_layer_versions(LayerName=name)["LayerVersions"]} for name in LAYERS}
    named = [one["FunctionName"] for one in functions.list_functions()["Functions"]]
    mappings = {one["UUID"]: {"function": one["FunctionArn"].rsplit(":", 1)[1], "batch": one["BatchSize"],
                              "state": one["State"]}
                for one in functions.list_event_source_mappings(EventSourceArn=queue)["EventSourceMappings"]}
    return {"layers": layers, "functions": {name: look_at(functions, name) for name in named}, "mappings": mappings}


def check_work(server, functions, state):
    """What is there works: code with its layers at /opt, addresses, instances that stand ready."""
    for name, function in state["functions"].items():
        wanted = sorted("in-" + one.split(":")[0] for one in function["layers"])
        answer = functions.invoke(FunctionName=name)
        value = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer and value["opt"] == wanted and value["version"] == "$LATEST", value
        assert digest(code_zip(value["code"])) == function["code"], value
        for qualifier, url in function["urls"].items():
            value = server.http("GET", url["path"]).expect(200).json
            alias = function["aliases"].get(qualifier)
            leads = [alias["version"], *alias["weights"]] if alias else ["$LATEST"]
            assert value["version"] in leads, (name, qualifier, value)
        for qualifier in function["provisioned"]:
            def ready():
                config = functions.get_provisioned_concurrency_config(FunctionName=name, Qualifier=qualifier)
                assert config["Status"] in ("READY", "IN_PROGRESS"), config
                return config["Status"] == "READY"
            eventually(ready, f"instances of {name}:{qualifier}", 30)


def check_packages(server):
    """Whole packages only, and nothing unfinished."""
    folder = os.path.join(server.data, "packages")
    for entry in os.listdir(folder):
        if len(entry) == 64:
            assert os.path.isdir(os.path.join(folder, entry, "tree")), entry
    unfinished = os.path.join(folder, ".incoming")
    eventually(lambda: not os.listdir(unfinished), lambda: f"left: {os.listdir(unfinished)}")


class Worker(threading.Thread):
    """Makes changes until the server does not answer."""

    def __init__(self, functions, journal, changes):
        super().__init__()
        self.functions, self.journal, self.changes = functions, journal, changes
        self.begun, self.fault, self.took = threading.Semaphore(0), None, 0.05
        self.last = ""
        self.start()

    def run(self):
        try:
            while True:
                words, after, call, learn = self.changes.choose()
                self.journal.intend(words, after)
                self.begun.release()
                began = time.monotonic()
                answer = call(self.functions)
                self.took = time.monotonic() - began
                self.journal.acknowledge(learn(after, answer) if learn else after)
        except ClientError as refused:  # an answer, and a wrong one: each change is possible
            self.fault = f"{words}: {refused}"
        except AssertionError as wrong:
            self.fault = f"{words}: {wrong}"
        except Exception as cut:  # the server is dead; the answer may be cut anywhere
            self.last = repr(cut)
        finally:
            self.begun.release()


def killed(server, rng):
    """kill -9 of the server, and of its spawner every second time."""
    seen = dict(descendants(server.pid))
    spawner = server.spawner_pid() if rng.random() < 0.5 else None
    if spawner:
        os.kill(spawner, 9)
    server.kill()
    return seen


def start_again(server, seen):
    server.start()
    server.census.seen = seen

    def living():
        return [x for x in server.census.leftovers("\0nothing") if x.startswith("process")]
    eventually(lambda: not living(), lambda: f"processes of the killed server live: {living()}", 15)


def test_control_api_is_killed(tmp_path):
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    server = Server()
    try:
        server.start()
        account = Account(server)
        functions, sqs = clients(server, account)
        url = sqs.create_queue(QueueName="work")["QueueUrl"]
        queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        journal = Journal(str(tmp_path / "journal"))
        changes = Changes(rng, journal, queue)
        for number in range(ROUNDS):
            worker = Worker(functions, journal, changes)
            for _ in range(rng.randint(1, 12)):
                assert worker.begun.acquire(timeout=60) and worker.fault is None, worker.fault or worker.last
            worker.begun.acquire(timeout=rng.random() * min(worker.took, 1.0) * 1.2)  # anywhere within the change
            seen = killed(server, rng)
            worker.join(90)
            assert not worker.is_alive() and worker.fault is None, worker.fault
            start_again(server, seen)
            functions, _ = clients(server, account)
            journal.settle(look(functions, queue))
            check_work(server, functions, journal.state)
            check_packages(server)
        assert server.stop() == 0
    except BaseException:
        print(server.log())
        if os.path.exists(tmp_path / "journal"):
            print(*[line for line in (tmp_path / "journal").read_text().splitlines() if line.startswith('["asked"')][-20:],
                  sep="\n")
        raise
    finally:
        server.close()


def test_packages_that_nobody_names_go_at_start():
    """A layer's package whose publishing was cut off is collected by the next server; those in use stay."""
    server = Server()
    try:
        server.start()
        account = Account(server)
        functions, _ = clients(server, account)
        first, second, gone = (functions.publish_layer_version(LayerName=n, Content={"ZipFile": layer_zip(n, 1)})
                               for n in ("la", "lb", "lc"))
        functions.create_function(
            FunctionName="fa", Runtime="python3.12", Handler="app.handler", Role=ROLE, Code={"ZipFile": code_zip(1)},
            Layers=[first["LayerVersionArn"], second["LayerVersionArn"]])
        functions.delete_layer_version(LayerName="la", VersionNumber=1)
        functions.delete_layer_version(LayerName="lc", VersionNumber=1)
        # What is there when the kill comes between the two steps of a publishing: a package alone.
        orphan = server.put_package(zip_bytes({"orphan": "x"})).expect(200, 201).json["sha256"]
        server.kill()
        folder = os.path.join(server.data, "packages")
        old = time.time() - 7200
        before = {entry for entry in os.listdir(folder) if len(entry) == 64}
        for entry in before:
            os.utime(os.path.join(folder, entry), (old, old))
        unused = {orphan, base64.b64decode(gone["Content"]["CodeSha256"]).hex()}
        assert orphan in before and len(before - unused) == 4, "code, two layers and what they are together"
        server.start()
        eventually(lambda: not unused & set(os.listdir(folder)), "orphaned packages are collected")
        assert before - unused <= set(os.listdir(folder)), "what is in use stays, as old as it is"
        functions, _ = clients(server, account)
        check_work(server, functions, {"functions": {"fa": {
            "layers": ["la:1", "lb:1"], "code": digest(code_zip(1)), "urls": {}, "provisioned": {}, "aliases": {}}}})
        check_packages(server)
        assert server.stop() == 0
    finally:
        server.close()
