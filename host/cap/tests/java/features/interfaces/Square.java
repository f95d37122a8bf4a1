package interfaces;

class Square implements NamedShape {
    short side;

    public short area() {
        return (short) (side * side);
    }

    public void scale(short by) {
        side *= by;
    }

    public byte name() {
        return 'S';
    }

    public boolean same(NamedShape other) {
        return other.area() == area() && other.name() == name() && !other.equals(null);
    }

    static short use(Shape shape, NamedShape named) {
        shape.scale(Shape.SIDES);
        named.scale((short) 2);
        return (short) (shape.area() + named.name());
    }
}
