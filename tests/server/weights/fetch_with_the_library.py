"""Run in the engines' environment: fetches a model with huggingface_hub itself, as a program of the field does.

python -m tests.server.weights.fetch_with_the_library ENDPOINT MODEL FOLDER
"""

import json
import os
import sys


def main() -> None:
    endpoint, model, folder = sys.argv[1:]
    os.environ |= {"HF_ENDPOINT": endpoint, "HF_HOME": folder + "/home", "HF_HUB_OFFLINE": "0"}
    from huggingface_hub import HfApi, snapshot_download

    info = HfApi(endpoint=endpoint, token=False).model_info(model, files_metadata=True)
    snapshot_download(model, revision=info.sha, local_dir=folder, token=False)
    hashes = {file.rfilename: file.lfs.sha256 if file.lfs else file.blob_id for file in info.siblings or []}
    sys.stdout.write(json.dumps(hashes))


if __name__ == "__main__":
    main()
