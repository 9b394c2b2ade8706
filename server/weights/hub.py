"""Asks a hub, over the HTTP interface that Hugging Face documents, what a model holds, and reads its files.

The token goes to the hub's own address only, never to where it redirects, and never into a message.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, urlsplit

import httpx

from server.settings import is_loopback
from server.weights.patience import Patience, TryAgain
from server.weights.problem import WeightsError
from server.weights.repository import RemoteFile, Repository, read_info

_TIMEOUT = httpx.Timeout(30.0, connect=15.0)
_MAX_INFO_BYTES = 64 << 20
_PASSING = frozenset({408, 429, 500, 502, 503, 504})


class Hub:
    """One hub at one address. Whoever makes it closes it."""

    def __init__(self, endpoint: str, token: str | None, user_agent: str) -> None:
        """Raises WeightsError for an address that is none, or to which a token must not be sent."""
        self.endpoint = endpoint.rstrip("/")
        parts = urlsplit(self.endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            raise WeightsError(f"{endpoint!r} is no address of a hub: it must begin with https:// or http://")
        if token is not None and parts.scheme == "http" and not is_loopback(parts.hostname):
            raise WeightsError("the token would travel unprotected: the address of the hub must be https")
        headers = {"User-Agent": user_agent, "Accept-Encoding": "identity"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        self._has_token = token is not None
        self._client = httpx.Client(headers=headers, timeout=_TIMEOUT, follow_redirects=True)

    def close(self) -> None:
        self._client.close()

    def describe(self, model: str, revision: str, patience: Patience) -> Repository:
        """The model at the commit that `revision` stands for now. Raises WeightsError."""
        url = f"{self.endpoint}/api/models/{model}/revision/{quote(revision, safe='')}?blobs=true"
        while True:
            try:
                with self._get(url, model, {}) as response:
                    return read_info(model, _read_all(response, _MAX_INFO_BYTES))
            except TryAgain as error:
                patience.wait(error)

    def read(self, repository: Repository, file: RemoteFile, patience: Patience) -> bytes:
        """A small file whole, checked. Raises WeightsError."""
        while True:
            try:
                with self.open(repository, file) as response:
                    content = _read_all(response, file.size)
                if len(content) < file.size:
                    raise TryAgain("the hub sent less than the whole file")
            except TryAgain as error:
                patience.wait(error)
                continue
            digests = file.digests()
            digests.update(content)
            if not file.is_matched_by(digests):
                raise WeightsError(f"{file.path} is not what the hub's own list says: its hash differs")
            return content

    @contextmanager
    def open(self, repository: Repository, file: RemoteFile, start: int = 0) -> Iterator[httpx.Response]:
        """The answer with a file's bytes from `start`, or all of them if the hub cannot begin there (status 200).

        Raises WeightsError, or TryAgain, also while the answer is read.
        """
        url = f"{self.endpoint}/{repository.model}/resolve/{repository.commit}/{quote(file.path)}"
        headers = {"Range": f"bytes={start}-"} if start else {}
        with self._get(url, repository.model, headers) as response:
            answers = [*response.history, response]
            commits = {answer.headers.get("x-repo-commit", repository.commit) for answer in answers}
            if commits != {repository.commit}:
                raise WeightsError(f"the hub answered for another commit than {repository.commit}")
            yield response

    @contextmanager
    def _get(self, url: str, model: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
        try:
            with self._client.stream("GET", url, headers=headers) as response:
                if not response.is_success:
                    raise self._refusal(response, model)
                yield response
        except httpx.TransportError as error:
            raise TryAgain(f"the connection to the hub failed ({type(error).__name__})") from error
        except (httpx.TooManyRedirects, httpx.DecodingError, httpx.InvalidURL) as error:
            raise WeightsError(f"the hub's answer makes no sense ({type(error).__name__})") from error

    def _refusal(self, response: httpx.Response, model: str) -> Exception:
        status, code = response.status_code, response.headers.get("x-error-code", "")
        if status in _PASSING:
            return TryAgain(f"the hub answers with status {status}", _retry_after_s(response))
        if code == "GatedRepo":
            return WeightsError(self._gated(model))
        if code == "RevisionNotFound":
            return WeightsError(f"{model} has no such revision; without @REVISION the newest is taken")
        if code == "EntryNotFound":
            return WeightsError(f"a file of {model} is no longer there")
        if status in (401, 403) and self._has_token and code != "RepoNotFound":
            return WeightsError(f"the hub does not accept the token for {model} (status {status})")
        if status in (401, 403, 404):
            hint = "" if self._has_token else ", or it is private: then set HF_TOKEN or give --token-file"
            return WeightsError(f"{self.endpoint} has no model {model}{hint}")
        return WeightsError(f"the hub answers with status {status}")

    def _gated(self, model: str) -> str:
        terms = f"{model} is gated: accept its terms at {self.endpoint}/{model}"
        if self._has_token:
            return f"{terms} with the account of the token, and wait until access is granted"
        return f"{terms}, then set HF_TOKEN or give --token-file"


def _read_all(response: httpx.Response, most_bytes: int) -> bytes:
    content = bytearray()
    for piece in response.iter_bytes():
        content += piece
        if len(content) > most_bytes:
            raise WeightsError("the hub sends more than it should")
    return bytes(content)


def _retry_after_s(response: httpx.Response) -> float | None:
    """Seconds; the form with a date is left to our own delays."""
    text = response.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() else None
