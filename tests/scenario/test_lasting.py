"""What lasts: deploys, logs, records and bills, across a stop and a kill."""

import os

import pytest

from harness import Census, eventually, fixture_path


def test_everything_is_there_after_a_restart(make_server):
    own = make_server()
    own.deploy(fixture_path("misbehave.py"), "--name", "lasting", "--memory", "144", "--env", "A=b")
    own.api("POST", "/v1/functions/lasting/versions").expect(200, 201)
    request_id = own.invoke("lasting", {"do": "print", "word": "kept"}).expect(200).request_id
    record = own.record(request_id)
    before = own.api("GET", "/v1/functions/lasting").json
    bill = own.api("GET", "/v1/bill").json
    key = own.key
    own.restart()
    assert own.key == key, "the credential stays"
    after = own.api("GET", "/v1/functions/lasting").json
    assert before.pop("keep_alive")["why"] == after.pop("keep_alive")["why"] == "break_even"  # it learns anew
    assert after == before
    assert own.record(request_id) == record
    assert any("to stdout kept" in x["text"] for x in own.logs("lasting", request_id=request_id))
    assert own.invoke("lasting:1", {"do": "nothing"}).status == 200
    after = own.api("GET", "/v1/bill").json
    assert after["total"] == bill["total"] or float(after["total"]) >= float(bill["total"])


@pytest.mark.smoke
def test_kill_nine_and_start_again(make_server):
    own = make_server()
    own.deploy(fixture_path("echo.py"), "--name", "acknowledged")
    own.invoke("acknowledged", {}).expect(200)
    own.kill()
    own.start()  # removes what the killed one left
    eventually(lambda: not [x for x in own.census.leftovers(own.data)
                            if "mayfly serve" not in x and "mayfly-spawner" not in x and "cgroup" not in x],
               lambda: own.census.leftovers(own.data))
    assert own.invoke("acknowledged", {}).expect(200).json["function"] == "acknowledged"
    assert own.stop() == 0


def test_the_spawner_may_die(make_server):
    own = make_server()
    own.deploy(fixture_path("echo.py"), "--name", "survivor")
    own.invoke("survivor", {}).expect(200)
    first = own.spawner_pid()
    assert first
    own.census.watch(own.pid)
    os.kill(first, 9)
    eventually(lambda: own.spawner_pid() not in (None, first), "a new spawner", 15)
    eventually(lambda: own.invoke("survivor", {}).status == 200, "calls work again", 15)
    assert own.stop() == 0


def test_a_broken_config_is_refused_before_anything_starts(make_server):
    census = Census()
    own = make_server(start=False, config="http:\n  body_bytes_maximum: 10\n")
    own.launch()
    own.process.wait(30)
    assert own.process.returncode != 0
    assert "body_bytes_max" in own.log() and "settings.yaml:2" in own.log()
    census.assert_clean(own.data)
