"""GET /docs: the API reference as one page. It loads nothing, so it works without a network."""

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from server.auth import public_paths
from server.deps import services
from server.media import ROUTE as MEDIA_ROUTE
from server.routes.reference.page import render

__all__ = ["render", "router"]

router = APIRouter()
# No script, no font, no picture, no form: whatever got into the page could do nothing.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


@router.get("/docs", include_in_schema=False)
async def reference(request: Request) -> HTMLResponse:
    """The page shows the address at which it was asked for."""
    settings = services(request).settings
    scheme = "https" if settings.behind_tls_proxy else request.url.scheme
    document = request.app.openapi() | {"servers": [{"url": f"{scheme}://{request.url.netloc}"}]}
    page = render(document, public_paths(settings) | {MEDIA_ROUTE})
    return HTMLResponse(page, headers={"Content-Security-Policy": POLICY})
