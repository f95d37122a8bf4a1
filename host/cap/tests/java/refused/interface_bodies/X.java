package refused.interface_bodies;

interface X {
    default void a() { //! @X.a()V interface methods with a body are not part of Java Card
    }

    static void b() { //! @X.b()V interface methods with a body are not part of Java Card
    }
}
