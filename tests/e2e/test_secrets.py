"""Target T9: a camera's password appears nowhere but in the request to the camera."""

import psutil

from tests.support.rtsp import RtspServer
from tests.support.service import SAMPLE, Service

CANARY = "c4n4ry-Pa55"


def test_password_in_a_source_url_appears_nowhere(own_service: Service):
    own_service.environment["ACTOSCOPE_LOG_LEVEL"] = "debug"
    own_service.start()
    answers = []
    with RtspServer(SAMPLE, credentials=f"viewer:{CANARY}") as camera, own_service.subscribe() as subscriber:
        good = own_service.add_stream(camera.url(), record=True)
        bad = own_service.add_stream(camera.url(credentials=f"viewer:{CANARY}x"))
        gone = own_service.add_stream(f"rtsp://viewer:{CANARY}@127.0.0.1:9/cam")
        # The same password where cameras take it besides: in the query, and in the path.
        in_query = own_service.add_stream(f"http://127.0.0.1:9/snap.cgi?loginuse=viewer&loginpas={CANARY}")
        in_path = own_service.add_stream(f"rtsp://127.0.0.1:9/user=viewer_psw={CANARY}_channel=1.sdp", name="Yard")
        refused = own_service.client.post("/v1/streams", json={"url": f"gopher://viewer:{CANARY}@127.0.0.1/cam"})
        assert refused.status_code == 422
        own_service.wait_state(good["id"], "running", 30)
        own_service.wait_state(bad["id"], "failed", 30)
        for stream in (gone, in_query, in_path):
            own_service.wait_state(stream["id"], "reconnecting", 30)
        answers += [good, bad, gone, in_query, in_path, refused.text, command_lines(own_service)]
        for path in ("/v1/streams", f"/v1/streams/{good['id']}", "/v1/events", "/metrics", "/readyz", "/v1/recordings"):
            answers.append(own_service.client.get(path).text)
        camera.kill()
        own_service.wait_state(good["id"], "reconnecting", 10)
        answers += [message for _, message in subscriber.messages]
    own_service.stop()
    assert "rtsp://" in own_service.log(), "the log names sources, or this test proves nothing"
    for file in (own_service.folder / "data").glob("*.db*"):
        answers.append(file.read_bytes().decode("latin-1"))
    answers += [path.read_text(errors="replace") for path in own_service.folder.rglob("*.jsonl")]
    answers.append(own_service.log())
    for answer in answers:
        assert CANARY not in str(answer), str(answer)[:2000]


def command_lines(service: Service) -> str:
    """Arguments and environments of every process of the service."""
    text = ""
    parent = psutil.Process(service.pid)
    for process in (parent, *parent.children(recursive=True)):
        text += " ".join(process.cmdline()) + str(process.environ())
    return text
