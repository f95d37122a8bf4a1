package refused.string_switch;

class X {
    static short use(Object o) {
        String s = (String) o; //! class java.lang.String does not exist in Java Card
        switch (s) { //! switch on a string is not
            case "a":
                return 1;
            default:
                return 2;
        }
    }
}
