# Messages of jpkise jpki.
