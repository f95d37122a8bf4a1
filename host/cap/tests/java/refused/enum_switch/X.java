package refused.enum_switch;

class X {
    static short use(java.util.concurrent.TimeUnit unit) {
        switch (unit) { //! switch on an enum is not part of Java Card
            case DAYS:
                return 1;
            default:
                return 2;
        }
    }
}
