"""Publish the page as a Hugging Face Space, on a pinned version of the model.

    python -m train.deploy_space owner/space --model owner/name@v1.2.0 [--with-tensorflow] [--dry-run FOLDER]

The Space gets what it needs to run and to install the package from it, and nothing else. It loads the model's commit while it
is built, so that it starts without asking the Hub. TensorFlow, which only further methods of explanation need, is left
out unless --with-tensorflow keeps it. Give an older version to roll back, or no --model to use the one that the package
carries. The token is the one of huggingface_hub: `hf auth login`, or HF_TOKEN.
"""

import shutil
import sys
import tempfile
import tomllib
from pathlib import Path

import jinja2
from huggingface_hub import HfApi, RepoCard, constants
from huggingface_hub.errors import HfHubHTTPError

from fashion_classifier import Bundle, FashionClassifierError
from fashion_classifier.bundle import DEFAULT_MODEL, MANIFEST
from fashion_classifier.classifier import MODEL_VARIABLE
from fashion_classifier.hub import hub_errors, load, parse_reference
from page.service import TENSORFLOW_VARIABLE
from train.commands import command_parser

ROOT = Path(__file__).parent.parent
CONTENT = ("app.py", "page", "fashion_classifier", "examples", "report", "pyproject.toml", "LICENSE")
APP, EXPLAIN = "app", "explain"  # extras of the package: what the page needs, and what further explanations need
TEMPLATE, PRIVACY = (Path(__file__).parent / name for name in ("space.md", "privacy.md"))
# a Space names no catalogues, and contact sheets of errors show people who were not asked
LEFT_OUT = ("__pycache__", "*.pyi", "catalogue", "errors-*")
FOR_TENSORFLOW = "*.keras"
FOR_THUMBNAILS = "Names the garment in an image of Fashion-MNIST's kind"  # at most 60 characters
NO_PAID_PLAN = (
    "The Hub asks for a paid plan before it makes this Space (HTTP 402). Make it by hand on the website, choose a plan, or "
    "deploy to an existing Space; then run this command again."
)
TOO_FEW_RIGHTS = "Your token may not write to {space} (HTTP {status}). Sign in with `hf auth login` and a token that may."


def stage(folder: Path, space: str, model: tuple[str, Bundle] | None = None, *, with_tensorflow: bool = False) -> None:
    """Write the Space's files.

    Args:
        folder: Is made, or must be empty.
        space: "owner/space".
        model: Name on the Hub and the verified bundle to preload.
        with_tensorflow: Whether it can do the methods of explanation that need TensorFlow.

    Raises:
        FileExistsError: The folder holds something.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty; give a new or an empty folder.")
    left_out = LEFT_OUT if with_tensorflow else (*LEFT_OUT, FOR_TENSORFLOW)
    for name in CONTENT:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns(*left_out))
        else:
            shutil.copy2(source, folder / name)
    (folder / "requirements.txt").write_text("".join(f"{line}\n" for line in requirements(with_tensorflow=with_tensorflow)))
    card = RepoCard.load(ROOT / "README.md", ignore_metadata_errors=True)
    card.text = readme(space, model)
    if model is not None and "photo" not in model[1].manifest.experts:
        card.data["short_description"] = FOR_THUMBNAILS
    if model is not None:
        repo, bundle = model
        files = ",".join([MANIFEST, *(bundle.manifest.files if with_tensorflow else bundle.networks)])
        card.data["preload_from_hub"] = [f"{repo} {files} {bundle.commit}"]
        card.data["models"] = [repo]
    card.save(folder / "README.md")


def requirements(*, with_tensorflow: bool = False) -> list[str]:
    """What app.py needs: neither training nor tests."""
    extras = (APP, EXPLAIN) if with_tensorflow else (APP,)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return sorted([*project["dependencies"], *(line for name in extras for line in project["optional-dependencies"][name])])


def readme(space: str, model: tuple[str, Bundle] | None) -> str:
    """What a Space says of itself below its front matter, Markdown; parameters as of `stage`."""
    repo, bundle = model or (None, Bundle(DEFAULT_MODEL))
    manifest = bundle.manifest
    text: str = jinja2.Template(TEMPLATE.read_text(encoding="utf-8"), undefined=jinja2.StrictUndefined).render(
        space=space,
        endpoint=constants.ENDPOINT,
        repo=repo,
        bundle=bundle,
        manifest=manifest,
        measured=manifest.metrics.get("fashion-mnist test"),
        explained=any(expert.explained for expert in manifest.experts.values()),
        example="examples/coat.jpg" if "photo" in manifest.experts else "examples/fashion-mnist-bag.png",
        privacy=PRIVACY.read_text(encoding="utf-8"),
    )
    return text


def deploy(space: str, model: tuple[str, Bundle] | None, *, with_tensorflow: bool = False) -> str:
    """Make or update the Space; returns its address.

    Args:
        space: "owner/space".
        model: As for `stage`.
        with_tensorflow: Likewise.

    Raises:
        HubError: The Hub cannot be reached or refuses.
    """
    api = HfApi()
    with tempfile.TemporaryDirectory() as staged, hub_errors(space):
        stage(Path(staged), space, model, with_tensorflow=with_tensorflow)
        address = api.create_repo(space, repo_type="space", space_sdk="gradio", exist_ok=True)
        version = f"model {model[1].manifest.version}" if model else "the embedded model"
        api.upload_folder(
            repo_id=space,
            repo_type="space",
            folder_path=staged,
            delete_patterns="*",  # what the Space no longer needs
            commit_message=f"Deploy {version}",
        )
        # after the code that knows them
        _set(api, space, MODEL_VARIABLE, f"{model[0]}@{model[1].commit}" if model else None)
        _set(api, space, TENSORFLOW_VARIABLE, "1" if with_tensorflow else None)
    return str(address)


def _set(api: HfApi, space: str, variable: str, value: str | None) -> None:
    if value is None:
        api.delete_space_variable(space, variable)
    else:
        api.add_space_variable(space, variable, value)


def main() -> int:
    """Exit status: 0, or 1 with one sentence on standard error."""
    parser = command_parser(__doc__)
    parser.add_argument("space", help="owner/space")
    parser.add_argument("--model", metavar="OWNER/NAME@REVISION", help="without it the Space uses the embedded model")
    parser.add_argument("--with-tensorflow", action="store_true", help="keep the methods of explanation that need TensorFlow")
    parser.add_argument("--dry-run", type=Path, metavar="FOLDER", help="write the Space's files there and upload nothing")
    arguments = parser.parse_args()
    try:
        model = None
        if arguments.model:
            repo, revision = parse_reference(arguments.model)
            model = repo, load(repo, revision)
        if arguments.dry_run:
            stage(arguments.dry_run, arguments.space, model, with_tensorflow=arguments.with_tensorflow)
            print(f"The files of the Space are in {arguments.dry_run}.")
        else:
            print(deploy(arguments.space, model, with_tensorflow=arguments.with_tensorflow))
    except (FashionClassifierError, FileExistsError) as error:
        print(_explained(error, arguments.space), file=sys.stderr)
        return 1
    return 0


def _explained(error: Exception, space: str) -> str:
    """What to do about the Hub's refusals that are particular to Spaces."""
    cause = error.__cause__
    if isinstance(cause, HfHubHTTPError) and cause.response.status_code == 402:
        return NO_PAID_PLAN
    if isinstance(cause, HfHubHTTPError) and cause.response.status_code in (401, 403):
        return TOO_FEW_RIGHTS.format(space=space, status=cause.response.status_code)
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
