"""Commits to the dataset that a journal is mirrored to. A module of its own: huggingface_hub is imported on first use."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

from fashion_classifier.monitoring import taken_back


class MirrorApi(HfApi):
    """What `CommitScheduler` commits through. It only ever adds; here a commit with the line that says that a picture was taken
    back deletes that picture, too, so that no restart comes between the two. What is merely not in the folder stays."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def create_commit(  # type: ignore[override]  # the options are huggingface_hub's
        self, repo_id: str, operations: Iterable[CommitOperationAdd], **options: Any
    ) -> Any:
        gone = taken_back(self._folder)
        there = self.list_repo_files(repo_id, repo_type=options["repo_type"]) if gone else []
        kept = [operation for operation in operations if operation.path_in_repo not in gone]
        deleted = [CommitOperationDelete(path) for path in there if path in gone]
        # one upload at a time: pictures that are the same are sent from one file, and several threads would move its position
        commit = super().create_commit(repo_id, [*kept, *deleted], num_threads=1, **options)
        if deleted:  # then it shall be in no former commit either
            self.super_squash_history(repo_id, repo_type=options["repo_type"])
        return commit
