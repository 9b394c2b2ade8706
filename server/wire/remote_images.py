"""Puts the content of remote images into a chat body, where the operator allows their hosts."""

from collections.abc import Iterator

from server.errors import invalid
from server.remote import RemoteFiles
from server.wire.chat_body import ChatBody
from server.wire.chat_media import IMAGE_TYPES, ImageUrlBody, data_url

MAX_REMOTE_IMAGES = 16


async def with_remote_images(body: ChatBody, remote: RemoteFiles) -> ChatBody:
    """`body` with every fetched image as a data URL; as it was where nothing may be fetched: parsing refuses it then.

    Changes `body` in place. Raises VALIDATION_ERROR with the path of the URL.
    """
    if not remote.is_on:
        return body
    images = list(_remote_images(body))
    if len(images) > MAX_REMOTE_IMAGES:
        raise invalid(images[MAX_REMOTE_IMAGES][0], f"is one of more than {MAX_REMOTE_IMAGES} remote images")
    for path, image in images:
        file = await remote.fetch(image.url, path)
        if file.media_type not in IMAGE_TYPES:
            raise invalid(path, f"must be one of {', '.join(IMAGE_TYPES)}")
        image.url = data_url(file.media_type, file.content)
    return body


def _remote_images(body: ChatBody) -> Iterator[tuple[str, ImageUrlBody]]:
    for number, message in enumerate(body.messages):
        if not isinstance(message.content, list):
            continue
        for index, part in enumerate(message.content):
            if part.image_url is not None and not part.image_url.url.startswith("data:"):
                yield f"messages.{number}.content.{index}.image_url.url", part.image_url
