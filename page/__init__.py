"""The parts of the page: a service, and around it the tabs, the endpoints for programs and plain HTTP. app.py composes them."""
