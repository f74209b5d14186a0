"""The classic peer: a Flask app around a Keras network, as tutorials on Fashion-MNIST write it.

    python -m benchmarks.flask_peer PORT

POST / takes the file of a form, makes 28x28 gray pixels of it with Pillow and asks `model.predict`; the network has two
convolutions and random weights, which take as long as learnt ones. For `benchmarks.load`.
"""

import argparse
from typing import Any

import flask
import numpy as np
from PIL import Image

from fashion_classifier import LABELS
from train.networks.architectures import cnn


def create_app() -> flask.Flask:
    app, model = flask.Flask(__name__), cnn()

    @app.post("/")
    def predict() -> dict[str, Any]:
        image = Image.open(flask.request.files["image"].stream).convert("L").resize((28, 28))
        pixels = np.asarray(image, np.float32).reshape(1, 28, 28, 1) / 255
        logits = model.predict(pixels, verbose=0)[0]
        return {"label": LABELS[int(logits.argmax())]}

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    create_app().run(port=parser.parse_args().port, threaded=True)


if __name__ == "__main__":
    main()
