package refused.enums;

class X {
    enum Colour { RED, GREEN } //! @X$Colour enum types are not part of Java Card

    static short use(Colour c) {
        switch (c) {
            case RED:
                return 1;
            default:
                return 2;
        }
    }
}
