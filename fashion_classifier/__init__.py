"""Any picture of a garment in, one of Fashion-MNIST's ten names out."""

from fashion_classifier.bundle import Bundle, Manifest
from fashion_classifier.classifier import FashionClassifier, predict
from fashion_classifier.errors import ExplanationError, FashionClassifierError, InvalidBundleError, InvalidImageError
from fashion_classifier.explanations import Explanation, explain
from fashion_classifier.images import Picture
from fashion_classifier.labels import LABELS
from fashion_classifier.predictions import Prediction
from fashion_classifier.preprocessing import CanonicalImage, canonicalize

__all__ = [
    "Bundle",
    "CanonicalImage",
    "Explanation",
    "ExplanationError",
    "FashionClassifier",
    "FashionClassifierError",
    "InvalidBundleError",
    "InvalidImageError",
    "LABELS",
    "Manifest",
    "Picture",
    "Prediction",
    "canonicalize",
    "explain",
    "predict",
]
