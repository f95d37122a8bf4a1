//! Checks whether everything between a program and a card is in order.
