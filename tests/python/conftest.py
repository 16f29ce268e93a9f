# SPDX-License-Identifier: Apache-2.0
"""What all tests share."""

import signal

# A run started in the background inherits "ignore Ctrl-C", and so would the processes whose Ctrl-C is tested.
signal.signal(signal.SIGINT, signal.default_int_handler)
