# Messages of jpkise gp.
