package inheritance;

final class Leaf extends Middle {
    short alsoVisible() {
        return super.alsoVisible();
    }

    public short third() {
        return (short) (super.third() + second((short) 1));
    }

    short fourth() {
        return shared;
    }
}
