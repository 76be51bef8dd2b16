"""The web application, asked by a client in the same process."""

import json

import numpy as np
import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

import accent
from accent.audio.decode import decode
from accent.errors import AccentError
from launch.applications.identify import identification_values
from launch.applications.listen import stream_values
from launch.serving.app import BUSY, REFUSED, TOO_LARGE, create_app, is_loopback
from launch.serving.limits import Limits

HERE, SOCKET = "http://localhost:8765", "ws://localhost:8765"


@pytest.fixture(scope="module")
def model(saa_run):
    return accent.load(saa_run)


@pytest.fixture(scope="module")
def client(model):
    with TestClient(create_app(model), base_url=HERE) as client:
        yield client


@pytest.fixture
def path(saa):
    return saa / "FRA037" / "wav" / "arctic_a0001.wav"


@pytest.fixture
def sound(path):
    samples_NC, rate, _ = decode(path)
    return (samples_NC[:, 0] * 32767).astype("<i2"), rate


def limited(model, **limits):
    return TestClient(create_app(model, Limits(**limits)), base_url=HERE)


def refusal(socket):
    """Return the line and the code with which the server ends a stream."""
    line = socket.receive_json()["error"]
    with pytest.raises(WebSocketDisconnect) as closed:
        socket.receive_json()
    return line, closed.value.code


def test_health_names_the_accents(client, model):
    assert client.get("/health").json() == {"status": "ok", "accents": list(model.accents), "listeners": 0}


def test_the_page_is_whole_and_may_load_nothing_from_elsewhere(client):
    reply = client.get("/")
    assert reply.status_code == 200 and reply.headers["content-type"].startswith("text/html")
    assert "AudioWorkletProcessor" in reply.text
    assert not any(word in reply.text for word in ("http://", "https://", "src=", "<link", "@import"))
    assert "default-src 'none'" in reply.headers["content-security-policy"]


def test_an_uploaded_file_is_answered_as_from_disk(client, model, path):
    reply = client.post("/identify", content=path.read_bytes())
    assert reply.status_code == 200
    assert reply.json() == json.loads(json.dumps(identification_values(model.identify(path))))


@pytest.mark.parametrize("content", [b"", b"RIFF no sound", bytes(4000)])
def test_what_is_no_speech_is_refused_without_the_servers_paths(client, content):
    reply = client.post("/identify", content=content)
    assert reply.status_code == 422 and "/" not in reply.json()["detail"].split(":")[0]


def test_a_file_that_is_too_large_is_refused(model):
    with limited(model, upload_bytes=10_000) as client:
        reply = client.post("/identify", content=bytes(10_001))
    assert reply.status_code == 413 and "10000 bytes" in reply.json()["detail"]


def test_a_stream_is_answered_as_in_python(client, model, sound):
    samples, rate = sound
    stream = model.stream(rate, last_seconds=10)
    expected = [stream_values(answer) for answer in [*stream.feed(samples), stream.finish()]]
    with client.websocket_connect(f"{SOCKET}/listen?rate={rate}&last=10") as socket:
        for at in range(0, len(samples), 4_410):
            socket.send_bytes(samples[at : at + 4_410].tobytes())
        socket.send_text("end")
        given = [socket.receive_json() for _ in expected]
    assert given[-1].pop("end") is True
    for one, other in zip(given, expected, strict=True):
        assert one["at_seconds"] == other["at_seconds"] and one["accent"] == other["accent"]
        np.testing.assert_allclose(one["embedding"], other["embedding"], atol=1e-5)


@pytest.mark.parametrize(
    ("limits", "message", "expected"),
    [
        ({}, b"odd", ("whole samples", REFUSED)),
        ({}, "hello", ("whole samples", REFUSED)),
        ({"message_bytes": 100}, bytes(102), ("102 bytes", TOO_LARGE)),
        ({"listen_seconds": 0.01}, bytes(2000), ("may last 0.01 s", REFUSED)),
        ({"idle_seconds": 0.2}, None, ("no sound came", REFUSED)),
        ({"listeners": 0}, None, ("are listening already", BUSY)),
    ],
)
def test_streams_have_limits(model, limits, message, expected):
    with limited(model, **limits) as client, client.websocket_connect(f"{SOCKET}/listen?rate=16000") as socket:
        if isinstance(message, bytes):
            socket.send_bytes(message)
        elif message is not None:
            socket.send_text(message)
        line, code = refusal(socket)
        assert expected[0] in line and code == expected[1]


def test_a_rate_that_cannot_be_is_named(client):
    with client.websocket_connect(f"{SOCKET}/listen?rate=3") as socket:
        assert "a rate of 3" in refusal(socket)[0]


def test_listeners_are_counted_until_they_leave(model):
    with limited(model, listeners=1) as client:
        with client.websocket_connect(f"{SOCKET}/listen?rate=16000") as first:
            first.send_bytes(bytes(2))
            assert client.get("/health").json()["listeners"] == 1
            with client.websocket_connect(f"{SOCKET}/listen?rate=16000") as second:
                assert refusal(second)[1] == BUSY
        assert client.get("/health").json()["listeners"] == 0


def test_pages_of_other_sites_may_not_use_it(client, path):
    elsewhere, own = {"origin": "https://elsewhere.example"}, {"origin": HERE}
    assert client.post("/identify", content=path.read_bytes(), headers=elsewhere).status_code == 403
    assert client.post("/identify", content=path.read_bytes(), headers=own).status_code == 200
    with client.websocket_connect(f"{SOCKET}/listen?rate=16000", headers=elsewhere) as socket:
        assert "may not use" in refusal(socket)[0]


def test_a_loopback_server_answers_to_loopback_names_only(model):
    away = TestClient(create_app(model), base_url="http://rebound.example")
    assert away.get("/health").status_code == 400
    opened = TestClient(create_app(model, host="0.0.0.0"), base_url="http://rebound.example")
    assert opened.get("/health").status_code == 200
    assert [is_loopback(host) for host in ("localhost", "127.0.0.1", "::1", "0.0.0.0", "speech.example")] == [
        True, True, True, False, False,
    ]  # fmt: skip


def test_a_model_that_was_not_calibrated_is_not_served(saa_run, tmp_path):
    (tmp_path / "model.safetensors").write_bytes((saa_run / "model" / "model.safetensors").read_bytes())
    with pytest.raises(AccentError, match="not calibrated"):
        create_app(accent.load(tmp_path))
