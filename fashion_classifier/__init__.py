"""Any picture of a garment in, one of Fashion-MNIST's ten names out."""

from fashion_classifier.bundle import Bundle
from fashion_classifier.classifier import FashionClassifier, canonicalize, find_garments, predict
from fashion_classifier.errors import (
    ExplanationError,
    FashionClassifierError,
    HubError,
    InvalidBundleError,
    InvalidImageError,
    InvalidPlaceError,
    InvalidReferenceError,
    ModelIntegrityError,
)
from fashion_classifier.explanations import Explanation, explain
from fashion_classifier.hub import list_versions
from fashion_classifier.images import Picture
from fashion_classifier.labels import LABELS
from fashion_classifier.manifest import Manifest
from fashion_classifier.predictions import Prediction
from fashion_classifier.preprocessing import CanonicalImage

__version__ = "1.15.0"

__all__ = [
    "Bundle",
    "CanonicalImage",
    "Explanation",
    "ExplanationError",
    "FashionClassifier",
    "FashionClassifierError",
    "HubError",
    "InvalidBundleError",
    "InvalidImageError",
    "InvalidPlaceError",
    "InvalidReferenceError",
    "LABELS",
    "Manifest",
    "ModelIntegrityError",
    "Picture",
    "Prediction",
    "canonicalize",
    "explain",
    "find_garments",
    "list_versions",
    "predict",
]
