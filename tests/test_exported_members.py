import subprocess
import sys

import fashion_classifier

HEAVY = {"tensorflow", "keras", "tf_keras_vis", "gradio", "huggingface_hub", "sklearn", "scipy", "matplotlib", "train", "app"}


def test_public_names_are_sorted_and_there() -> None:
    assert fashion_classifier.__all__ == sorted(fashion_classifier.__all__)
    assert all(hasattr(fashion_classifier, name) for name in fashion_classifier.__all__)


def loaded(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after running the code."""
    script = f"{code}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}}, sep='\\n')"
    return set(subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split())


def test_import_is_cheap() -> None:
    assert loaded("import fashion_classifier") & HEAVY == set()


def test_prediction_never_loads_tensorflow() -> None:
    code = "from fashion_classifier import predict\npredict(['examples/coat.jpg', 'examples/fashion-mnist-bag.png'])"
    assert loaded(code) & HEAVY == set()
