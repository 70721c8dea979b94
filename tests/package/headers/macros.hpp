// Macros that others bring, and that no name of ours may be: those of Xlib (but for Status), Qt,
// and the system.
#define Above 0
#define Always 2
#define Below 1
#define Bool int
#define Complex 0
#define CurrentTime 0L
#define False 0
#define None 0L
#define Success 0
#define True 1
#define Unsorted 0
#define emit
#define foreach(variable, range) for (variable : range)
#define forever for (;;)
#define signals public
#define slots
#define major(device) (device)
#define minor(device) (device)
