"""Live, ready, detailed and the metrics."""

from dataclasses import replace

from server.caller import Permission
from server.deps import Services
from server.http.readiness import Readiness
from server.routes import health
from tests.fakes.edge import bearer, call, make_app


def with_readiness(services: Services, readiness: Readiness) -> Services:
    return replace(services, readiness=readiness)


async def test_live_says_ok_without_envelope_or_key(services: Services) -> None:
    app = make_app(services, [health.router])

    for path in ("/health", "/health/live"):
        assert (await call(app, path)).json() == {"status": "ok"}


async def test_ready_when_every_check_passes(services: Services) -> None:
    readiness = Readiness({"database": lambda: True, "workers": lambda: True})

    answer = await call(make_app(with_readiness(services, readiness), [health.router]), "/health/ready")

    assert answer.status == 200
    assert answer.json() == {"status": "ready", "checks": {"database": "ok", "workers": "ok"}}


async def test_failed_check_is_named_with_503(services: Services) -> None:
    readiness = Readiness({"database": lambda: False, "workers": lambda: True})

    answer = await call(make_app(with_readiness(services, readiness), [health.router]), "/health/ready")

    assert answer.status == 503
    assert answer.json() == {"status": "unavailable", "checks": {"database": "failed", "workers": "ok"}}


async def test_draining_server_is_not_ready_but_alive(services: Services) -> None:
    app = make_app(services, [health.router])
    services.readiness.start_draining()

    ready = await call(app, "/health/ready")

    assert (ready.status, ready.json()["status"]) == (503, "draining")
    assert (await call(app, "/health/live")).status == 200


async def test_details_are_for_administrators(services: Services) -> None:
    app = make_app(services, [health.router])
    plain = services.keys.create("plain", [Permission.MODELS_USE])
    admin = services.keys.create("admin", [Permission.ADMIN_ACCESS])

    refused = await call(app, "/health/detailed", headers=[bearer(plain.secret.reveal())])
    answer = await call(app, "/health/detailed", headers=[bearer(admin.secret.reveal())])

    assert (refused.status, refused.json()["error"]["code"]) == (403, "AUTHZ_PERMISSION_DENIED")
    (backend,) = answer.json()["data"]["backends"]
    assert (backend["backend_id"], backend["state"], backend["restarts"]) == ("be_echo", "ready", 3)


async def test_metrics_show_the_backends_of_this_moment(services: Services) -> None:
    answer = await call(make_app(services, [health.router]), "/metrics")

    text = answer.body.decode()
    assert answer.headers["content-type"].startswith("text/plain")
    assert 'scaigrid_backend_health{backend_id="be_echo"} 1.0' in text
    assert 'scaigrid_backend_inflight_requests{backend_id="be_echo"} 2.0' in text
    assert 'hearth_worker_restarts_total{backend_id="be_echo"} 3.0' in text
