//! Many small clients at once, on every port.
