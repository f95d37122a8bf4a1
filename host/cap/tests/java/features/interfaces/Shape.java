package interfaces;

interface Shape {
    short SIDES = 4;

    short area();

    void scale(short by);
}
