# Messages of jpkise lab.
