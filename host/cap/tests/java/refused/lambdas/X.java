package refused.lambdas;

class X {
    interface Task {
        void run();
    }

    static void use() {
        Task task = () -> { }; //! lambda expressions and method references are not part of Java Card
        task.run();
    }
}
