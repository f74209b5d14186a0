"""Whole collections of pictures, named on Ray Data: on one machine or on a cluster, with the same command.

    python -m fashion_classifier.catalogue SOURCE --out FOLDER

Needs `pip install 'fashion-classifier[catalogue]'`; nothing else of the package imports Ray or PyArrow.
"""

try:
    from fashion_classifier.catalogue.files import SourceError
    from fashion_classifier.catalogue.naming import JobError, name_catalogue
    from fashion_classifier.catalogue.results import OtherCatalogueError
    from fashion_classifier.catalogue.summary import Summary
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"Catalogues need {error.name}: pip install 'fashion-classifier[catalogue]'.", name=error.name
    ) from error

__all__ = ["JobError", "OtherCatalogueError", "SourceError", "Summary", "name_catalogue"]
