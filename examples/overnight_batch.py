"""Ask a model many questions overnight: write a batch, submit it, wait for it, print the answers.

    python examples/overnight_batch.py questions.txt --model starter/chat

One question per line. The batch goes on without this program, and after a restart of the server too: run it again with
`--batch batch_...` to wait for one that was submitted before.
"""

import argparse
import json
import os
import time
from pathlib import Path

import httpx

TERMINAL = {"completed", "failed", "expired", "cancelled"}


def main() -> None:
    arguments = parse_arguments()
    headers = {"Authorization": f"Bearer {os.environ['HEARTH_API_KEY']}"}
    with httpx.Client(base_url=arguments.url, headers=headers, timeout=60) as client:
        batch_id = arguments.batch or submit(client, arguments.questions, arguments.model)
        batch = wait(client, batch_id)
        print_answers(client, batch)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Ask a model many questions in one batch.")
    parser.add_argument("questions", type=Path, nargs="?", help="file with one question per line")
    parser.add_argument("--model", default="starter/chat")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--batch", help="wait for this batch instead of submitting one")
    arguments = parser.parse_args()
    if arguments.questions is None and arguments.batch is None:
        parser.error("give a file of questions, or --batch")
    return arguments


def submit(client: httpx.Client, questions: Path, model: str) -> str:
    """The id of the batch; from here on nothing is lost."""
    texts = [line.strip() for line in questions.read_text(encoding="utf-8").splitlines() if line.strip()]
    lines = [
        {
            "custom_id": text[:200] + f" #{number}",
            "method": "POST",
            "url": "/v1/inference/chat",
            "body": {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 100},
        }
        for number, text in enumerate(texts, start=1)
    ]
    content = "".join(json.dumps(line) + "\n" for line in lines).encode()
    file = data(client.post("/v1/files", files={"file": ("questions.jsonl", content)}))
    batch = data(client.post("/v1/inference/batch", json={"input_file_url": file["uri"]}))
    print(f"submitted {batch['id']} with {len(lines)} questions")
    return str(batch["id"])


def wait(client: httpx.Client, batch_id: str) -> dict[str, object]:
    while True:
        batch = data(client.get(f"/v1/inference/batch/{batch_id}"))
        counts, left_s = batch["request_counts"], batch["progress"]["seconds_left"]
        rest = "" if left_s is None else f", about {left_s:.0f} s left"
        print(f"{batch['status']}: {counts['total'] - counts['pending']} of {counts['total']}{rest}")
        if batch["status"] in TERMINAL:
            return batch
        time.sleep(1)


def print_answers(client: httpx.Client, batch: dict[str, object]) -> None:
    for url in (batch["output_file_url"], batch["error_file_url"]):
        if url is None:
            continue
        for line in client.get(str(url)).raise_for_status().iter_lines():
            record = json.loads(line)
            print(f"\n{record['custom_id']}\n  {told(record)}")
    for problem in batch["errors"] if isinstance(batch["errors"], list) else ():
        print(f"line {problem['line']}: {problem['message']}")


def told(record: dict[str, dict[str, object]]) -> object:
    """The answer, or why there is none."""
    if record["error"]:
        return record["error"]["message"]
    body: dict = record["response"]["body"]  # type: ignore[assignment]  # JSON
    return body["error"]["message"] if "error" in body else body["data"]["choices"][0]["message"]["content"]


def data(answer: httpx.Response) -> dict:
    return answer.raise_for_status().json()["data"]


if __name__ == "__main__":
    main()
