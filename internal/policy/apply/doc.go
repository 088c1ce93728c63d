// Package apply carries a policy out: it reads what there is on the host, makes the plan,
// prints it and changes the kernel's endpoints and limits. [Run.Watch] keeps them so while
// links come and go. Which endpoints are the policy's is recorded in a file, because the
// kernel does not say who made an endpoint.
package apply
