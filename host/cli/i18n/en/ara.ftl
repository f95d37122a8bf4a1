# Messages of jpkise ara.
